def answer(request):
    return "hi"
