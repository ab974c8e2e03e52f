"""The shop's data, and the functions the model may call. Everything in it is invented."""

CUSTOMERS = {"Ada Lindqvist": "C-17", "Grace Okafor": "C-23", "Mei Tanaka": "C-31"}
ORDERS = {"C-17": ["A-100", "A-205"], "C-23": ["A-118"], "C-31": ["A-099", "A-131", "A-240"]}
STATUS = {
    "A-099": ("delivered", "DHL-7001"),
    "A-100": ("delivered", "DHL-7002"),
    "A-118": ("packed", None),
    "A-131": ("returned", "UPS-8103"),
    "A-205": ("shipped", "DHL-7044"),
    "A-240": ("shipped", "UPS-8190"),
}
PLACES = {"DHL-7001": "Oslo", "DHL-7002": "Malmo", "DHL-7044": "Hamburg", "UPS-8103": "Rotterdam", "UPS-8190": "Lyon"}
PRICES = {"desk lamp": 40, "door sensor": 25, "smart plug": 18, "thermostat": 120}
IN_DOLLARS = {"USD": 1.0, "EUR": 1.25, "GBP": 1.5}


def find_customer(name: str) -> dict:
    """Look a customer up by name; gives the customer's id.

    Args:
        name: The customer's full name
    """
    if name not in CUSTOMERS:
        raise LookupError(f"no customer is called {name}")
    return {"customer_id": CUSTOMERS[name]}


def list_orders(customer_id: str) -> list:
    """The orders of a customer, the oldest first.

    Args:
        customer_id: The customer's id, such as C-17
    """
    if customer_id not in ORDERS:
        raise LookupError(f"there is no customer {customer_id}")
    return [{"order_id": order} for order in ORDERS[customer_id]]


def order_status(order_id: str) -> dict:
    """The status of an order, and the number of its parcel where it has one.

    Args:
        order_id: The order's number, such as A-100
    """
    if order_id not in STATUS:
        raise LookupError(f"there is no order {order_id}")
    status, parcel = STATUS[order_id]
    return {"status": status, "parcel_number": parcel}


def track_parcel(parcel_number: str) -> dict:
    """Track a parcel: the place where it was last seen.

    Args:
        parcel_number: The parcel's number, such as DHL-7001
    """
    if parcel_number not in PLACES:
        raise LookupError(f"there is no parcel {parcel_number}")
    return {"place": PLACES[parcel_number]}


def get_price(product: str) -> dict:
    """The price of a product.

    Args:
        product: The product's name, in the singular
    """
    if product.lower() not in PRICES:
        raise LookupError(f"there is no product called {product}")
    return {"price": PRICES[product.lower()], "currency": "USD"}


async def convert_currency(amount: float, from_currency: str, to_currency: str) -> dict:
    """Convert an amount of money from one currency into another.

    Args:
        amount: How much
        from_currency: The currency it is in: USD, EUR or GBP
        to_currency: The currency wanted: USD, EUR or GBP
    """
    return {"amount": round(amount * IN_DOLLARS[from_currency] / IN_DOLLARS[to_currency], 2), "currency": to_currency}
