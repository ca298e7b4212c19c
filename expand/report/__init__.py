"""What people see of a run: the HTML page, tables, and what a terminal shows meanwhile."""
