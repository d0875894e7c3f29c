"""One lead in step with what it is in Pipedrive: compared, pulled, pushed, parted, and what people are to decide."""
