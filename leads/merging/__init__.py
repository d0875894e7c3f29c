"""Making one lead of several: `survivorship` says which values stay, `carrying` what moves along, `merging` is the act, `unmerging`
takes it back.
"""
