"""Several processes that decide and end as one."""
