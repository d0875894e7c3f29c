"""An export as a file: CSV, a workbook, or JSON; for ever, free, and as the leads are now.

`rows` finds the leads a slice at a time, the three formats write them, `downloading` hands the file out piece by piece. Each slice is a
statement of its own that has ended before its rows go out: however slowly somebody reads, no transaction and no cursor waits for it.
"""
