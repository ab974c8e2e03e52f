"""Turns a suite into everything a run needs, resolved and checked before a request is sent.

Looks up names (providers, prices, capabilities), fills in variables, starts simulators. Problems
are reported as sentences, all together where possible.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from harness import registry
from harness.config.diagnostics import Problems
from harness.config.regular_files import read_regular_file
from harness.errors import UsageError
from harness.flows.base import RoleTarget
from harness.model import Limits, Price, Target
from harness.plan import Plan, check_identities
from harness.preflight import (
    check_budget,
    check_parallel_calls,
    check_services,
    check_targets,
    describe_token_rates,
    fit_open_files,
)
from harness.pricing import catalogue
from harness.providers import capabilities
from harness.providers.base import Provider, SupportsVersions
from harness.suite import Overrides, Suite, TargetSpec, load_suite
from harness.suite.targets.code_targets import CALLABLES, hash_code_files
from harness.suite.targets.target_reader import SECRET_QUERY, SIMULATOR, SimulatorSpec
from harness.vendors import PROVIDERS, price_vendor, price_vendor_at
from harness.vendors.addresses import Address, complete_address, is_http_address

if TYPE_CHECKING:
    from harness.simulator import Config as SimulatorConfig

SIMULATED_MODELS = {"llama-4-scout": "@cf/meta/llama-4-scout-17b-16e-instruct"}
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class PreparedRun(Struct, frozen=True):
    """A suite ready to run.

    `secrets` are the values of variables named as API keys or in headers; `notes` are for people;
    `role_targets` by name are the targets that graders and simulated users ask.
    """

    suite: Suite
    plan: Plan
    secrets: Mapping[str, str]
    notes: tuple[str, ...]
    role_targets: Mapping[str, RoleTarget] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()
    """The environment variables its targets need."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets, in the suite's order."""
        return self.plan.targets

    @property
    def everyone(self) -> tuple[Target, ...]:
        """The targets, then those that only help."""
        tested = {target.name for target in self.targets}
        return (
            *self.targets,
            *(each.target for name, each in self.role_targets.items() if name not in tested),
        )


@cache
def price_catalogue() -> catalogue.PriceCatalogue:
    """The dated prices that ship with the package."""
    folder = files("harness.pricing")

    def read_price_list(vendor: str) -> bytes | None:
        listing = folder.joinpath("prices", f"{vendor}.json")
        return listing.read_bytes() if listing.is_file() else None

    overrides = catalogue.parse_overrides(folder.joinpath("catalogue.yaml").read_text("utf-8"))
    return catalogue.PriceCatalogue(overrides, read_price_list)


def load_checked_suite(path: Path, overrides: Overrides | None = None) -> Suite:
    """The suite at `path`. Where it has problems, those of its targets are told with them. Raises
    SuiteError.
    """
    return load_suite(path, overrides, _check_targets)


def _check_targets(suite: Suite) -> None:
    with ExitStack() as stack:
        resolver = _Resolver(suite, {}, stack, live=False)
        targets = [resolver.resolve_target(spec) for spec in suite.targets]
        beside = map(resolver.resolve_target, _role_only_targets(suite))
        table = capabilities.built_in_table().with_overrides(suite.capability_overrides)
        resolver.raise_any()
        check_targets(suite, targets, (*targets, *beside), table)


@contextmanager
def prepare(suite: Suite, environment: Mapping[str, str], *, live: bool) -> Iterator[PreparedRun]:
    """The suite, resolved; simulators run inside the context.

    With `live` unset nothing is started and no variable need be set: enough to plan and to print
    what would be sent. Raises SuiteError for what the suite's targets cannot do, UsageError for
    variables that are not set.
    """
    with ExitStack() as stack:
        resolver = _Resolver(suite, environment, stack, live=live)
        targets = tuple(resolver.resolve_target(spec) for spec in suite.targets)
        beside = tuple(map(resolver.resolve_target, _role_only_targets(suite)))
        resolver.raise_any()
        check_identities(suite, targets)
        everyone, notes = fit_open_files((*targets, *beside))
        targets = everyone[: len(targets)]
        table = capabilities.built_in_table().with_overrides(suite.capability_overrides)
        checked = check_targets(suite, targets, everyone, table)
        ranges = {
            each.name: capabilities.seed_range(table, each.provider, each.model, each.api_version)
            for each in targets
        }
        plan = Plan(
            suite,
            targets,
            checked.dropped,
            {name: limits for name, limits in ranges.items() if limits},
        )
        check_parallel_calls(plan)
        check_services(plan)
        check_budget(plan, checked.role_targets.values())
        notes += (*checked.notes, *describe_token_rates(plan))
        yield PreparedRun(
            suite,
            plan,
            resolver.secrets,
            (*suite.warnings, *notes),
            checked.role_targets,
            frozenset(resolver.variables),
        )


def _role_only_targets(suite: Suite) -> list[TargetSpec]:
    """The targets that are asked but not under test."""
    tested = {spec.name for spec in suite.targets}
    return [spec for spec in suite.role_targets if spec.name not in tested]


class _Resolver:
    """Turns a suite's target specifications into targets."""

    def __init__(
        self, suite: Suite, environment: Mapping[str, str], stack: ExitStack, *, live: bool
    ) -> None:
        self._suite, self._environment, self._stack, self._live = suite, environment, stack, live
        self._simulators: dict[SimulatorConfig, str] = {}
        self._problems = Problems()
        self.secrets: dict[str, str] = {}
        self.variables: set[str] = set()

    def raise_any(self) -> None:
        """Raise SuiteError for all that was wrong with the targets."""
        self._problems.raise_any()

    def resolve_target(self, spec: TargetSpec) -> Target:
        """The target of one specification; what is wrong with it is noted."""
        if spec.provider in CALLABLES:
            return self._resolve_local_code(spec)
        return (
            self._resolve_simulated(spec)
            if spec.provider == SIMULATOR
            else self._resolve_remote(spec)
        )

    def _resolve_remote(self, spec: TargetSpec) -> Target:
        provider: Provider = registry.load_plugin("providers", spec.provider)
        address = spec.base_url or provider.default_address
        if address is None:
            self._add_problem(spec, f": provider {spec.provider!r} needs a `base_url:`")
            address = ""
        key = spec.api_key or (provider.default_api_key_env if spec.base_url is None else None)
        if key is not None:
            self._read_secret(key, spec)
        base_url, api_version = self._find_address(address, spec)
        self.secrets.update(_secrets_of_address(base_url))
        if self._live and address != base_url and "${" in address and not is_http_address(base_url):
            what = "is not an http:// or https:// address once its variables are filled in"
            self._add_problem(spec, f": its address {address} {what}")
        target = self._build_target(spec, spec.provider, spec.model, address, base_url, key)
        return (
            target
            if spec.api_version or not api_version
            else replace(target, api_version=api_version)
        )

    def _find_address(self, declared: str, spec: TargetSpec) -> Address:
        """Where the target is: completed, variables filled in."""
        facts = PROVIDERS.get(spec.provider)
        if facts is None:  # a plug-in's own matter
            return Address(self._substitute_variables(declared, spec).rstrip("/"))
        base, api_version = complete_address(facts, declared)
        found = self._substitute_variables(base, spec)
        if found != base and base.startswith("${"):
            return complete_address(facts, found)
        return Address(found, api_version)

    def _resolve_local_code(self, spec: TargetSpec) -> Target:
        """The user's own code: its address is a hash of its files, so that an edited one is another
        target."""
        folder = self._suite.path.parent
        for name in spec.env:
            self._read_secret(name, spec)
        address = f"{spec.provider}:{hash_code_files(spec, folder)}"
        return replace(
            self._build_target(spec, spec.provider, spec.model, address, folder.as_uri(), None),
            env=tuple(spec.env),
        )

    def _resolve_simulated(self, spec: TargetSpec) -> Target:
        options = spec.simulator or SimulatorSpec()
        base = self._start_simulator(options, spec)
        model = SIMULATED_MODELS.get(spec.model, spec.model)
        path = PROVIDERS[options.api].simulator_path or ""
        target = self._build_target(
            spec, options.api, model, f"{SIMULATOR}:{options.api}", base + path, None
        )
        return replace(target, simulated=True)

    def _build_target(
        self,
        spec: TargetSpec,
        provider: str,
        model: str,
        address: str,
        base_url: str,
        key: str | None,
    ) -> Target:
        is_declared = spec.price is not None and spec.context is not None
        entry = None if is_declared else _catalogue_entry(provider, model, address)
        format_ = registry.load_plugin("providers", provider)
        default = format_.default_max_tokens
        return Target(
            name=spec.name,
            provider=provider,
            model=model,
            address=address,
            base_url=base_url,
            api_key_env=key,
            headers={
                name: self._substitute_variables(value, spec, secret=True)
                for name, value in spec.headers.items()
            },
            extra_body=spec.extra_body
            if spec.functions is None
            else {"functions": spec.functions_sent(), **spec.extra_body},
            sampling=dict(spec.sampling)
            if default is None
            else {"max_tokens": default, **spec.sampling},
            limits=self._merge_limits(spec),
            price=_declared_price(spec) or (entry.price if entry else None),
            context=spec.context or (entry.context if entry else None),
            service=None if spec.http is None else spec.http.to_plain(),
            api_version=spec.api_version
            or (format_.default_api_version if isinstance(format_, SupportsVersions) else None),
        )

    def _merge_limits(self, spec: TargetSpec) -> Limits:
        """The target's own limits, else the suite's `run:`."""
        run, own = self._suite.run, spec.limits
        return Limits(
            concurrency=own.concurrency or run.concurrency,
            rpm=own.rpm or run.rpm,
            tpm=own.tpm or run.tpm,
            retries=run.retries if own.retries is None else own.retries,
            timeouts=own.timeout.with_defaults(run.timeout) if own.timeout else run.timeout,
        )

    def _substitute_variables(self, text: str, spec: TargetSpec, *, secret: bool = False) -> str:
        """`text` with each `${NAME}` replaced by the variable's value."""
        self.variables.update(_VARIABLE.findall(text))
        if not self._live:
            return text
        values = {name: self._read_variable(name, spec) for name in _VARIABLE.findall(text)}
        if secret:
            self.secrets.update(values)
        return _VARIABLE.sub(lambda match: values[match[1]], text)

    def _read_secret(self, name: str, spec: TargetSpec) -> None:
        self.variables.add(name)
        if self._live:
            self.secrets[name] = self._read_variable(name, spec)

    def _add_problem(self, spec: TargetSpec, message: str) -> None:
        self._problems.add(self._suite.place_of(spec.name), f"target {spec.name!r}{message}")

    def _read_variable(self, name: str, spec: TargetSpec) -> str:
        value = self._environment.get(name, "")
        if not value:
            how = f"export {name}=…, or put it in a file and name that with --env-file"
            self._add_problem(
                spec, f" needs the environment variable {name}, which is not set; {how}"
            )
        return value

    def _start_simulator(self, options: SimulatorSpec, spec: TargetSpec) -> str:
        """The base URL of a simulator with these options, started if none runs yet and one is
        needed."""
        from harness.simulator import start  # noqa: PLC0415 — only where one is used

        try:
            config = _simulator_config(options)
        except UsageError as wrong:
            self._add_problem(spec, f": `simulator:` {wrong}")
            return ""
        if not self._live:
            return "http://simulator"
        if config not in self._simulators:
            self._simulators[config] = self._stack.enter_context(start(config)).base_url
        return self._simulators[config]


def _simulator_config(options: SimulatorSpec) -> SimulatorConfig:
    from harness.simulator import Config  # noqa: PLC0415 — only where one is used

    given = {
        "seed": options.seed,
        "ttft_s": options.ttft,
        "inter_token_s": options.inter_token,
        "jitter": options.jitter,
        "faults": options.faults,
    }
    return Config.from_json(
        json.dumps({name: value for name, value in given.items() if value is not None})
    )


def _catalogue_entry(provider: str, model: str, address: str) -> catalogue.PriceEntry | None:
    """Today's price and limits of a model, where its vendor is known."""
    vendor = (
        price_vendor(provider)
        if address.startswith(SIMULATOR)
        else price_vendor_at(provider, address)
    )
    return price_catalogue().find(vendor, model, datetime.now(UTC).date()) if vendor else None


def find_price(spec: TargetSpec) -> Price | None:
    """What a target costs today: its own price, else the catalogue's; None where none is known."""
    if spec.price is not None:
        return _declared_price(spec)
    if spec.provider == SIMULATOR:
        api = (spec.simulator or SimulatorSpec()).api
        model = SIMULATED_MODELS.get(spec.model, spec.model)
        entry = _catalogue_entry(api, model, f"{SIMULATOR}:{api}")
    else:
        facts = PROVIDERS.get(spec.provider)
        address = spec.base_url or (facts.address if facts else None) or ""
        entry = _catalogue_entry(spec.provider, spec.model, address)
    return entry.price if entry else None


def _secrets_of_address(address: str) -> Iterator[tuple[str, str]]:
    """What in an address proves who asks, by the name of its part; none of it is from the suite."""
    try:
        place = urlsplit(address)
    except ValueError:
        return  # a problem of its own
    for name, value in parse_qsl(place.query):
        if SECRET_QUERY.search(name):
            yield name, value
    if place.password:
        yield "password", unquote(place.password)


def _declared_price(spec: TargetSpec) -> Price | None:
    return (
        None
        if spec.price is None
        else Price(**spec.price.model_dump(exclude_none=True), source="suite")
    )


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file, none of them interpolated. Raises UsageError, naming the
    first line that is wrong."""
    from dotenv.parser import parse_stream  # noqa: PLC0415 - only where such a file is named

    try:
        text = read_regular_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as invalid:
        raise UsageError(
            f"{path}: is not UTF-8 at byte {invalid.start}; save it as UTF-8"
        ) from None
    except OSError as refused:
        raise UsageError(f"{path}: cannot be read: {refused.strerror or refused}") from refused
    variables: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.key is None and not binding.error:  # a comment, or blank lines
            continue
        if binding.key is None or binding.value is None or not binding.key.isidentifier():
            written = binding.original.string
            blank = len(written) - len(written.lstrip())
            line = binding.original.line + written.count("\n", 0, blank)
            raise UsageError(f"{path}:{line}: not a `NAME=value` line")
        variables[binding.key] = binding.value
    return variables


def merge_environment(env_file: Path | None) -> dict[str, str]:
    """The process's variables, under those of `env_file`."""
    return {**os.environ, **(read_env_file(env_file) if env_file else {})}
