def check(s): return "-"
def alerts(s): return "-"
