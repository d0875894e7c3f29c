"""What may happen, drawn by Hypothesis: names of acts with three small numbers, which the play makes something of."""

from hypothesis import strategies as st

HERE = (
    "create",
    "create",
    "edit",
    "edit",
    "edit",
    "import_edit",
    "clear",
    "delete",
    "restore",
    "merge",
    "undo",
    "want_deal",
)
THERE = (
    "person", "person", "edit_person", "edit_person", "edit_person", "delete_person", "restore_person", "merge_persons", "move_person",
    "organization", "rename_organization", "merge_organizations", "deal", "move_deal", "close_deal", "delete_deal",
)  # fmt: skip
BETWEEN = (
    "drain",
    "drain",
    "drain",
    "deliver",
    "deliver",
    "lose",
    "double",
    "mix",
    "sweep",
    "time",
    "resolve",
    "send",
    "together",
    "together",
)
TROUBLE = ("fault", "fault", "kill", "kill", "lag", "down")

numbers = st.integers(0, 11)
steps = st.tuples(st.sampled_from((*HERE, *THERE, *BETWEEN, *TROUBLE)), numbers, numbers, numbers)
programs = st.lists(steps, min_size=8, max_size=26)
Step = tuple[str, int, int, int]
