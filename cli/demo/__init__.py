"""`coffer demo`: the whole product once, from nothing, each claim checked as it is shown.

`run` is the list of steps; `storing`, `moving`, `reading` and `sealing` do and check them.
"""
