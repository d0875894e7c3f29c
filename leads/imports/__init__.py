"""Importing leads from files: read → recognise the columns → check each row → stage by COPY → match → insert and update by SQL.

Whatever brings a table in (CSV, JSON, later spreadsheets) is a `reading.Source`; `importing.run` is the act.
"""
