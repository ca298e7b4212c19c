"""What people see of a run: the HTML page, tables, and the live view on a terminal.

Other packages call `page.write_report`, `tables.write_table`, `terminal.forecast_text`, `terminal.to_table`
and `sheets.trajectory_sheet`, `counting.counted` for `xpand count`, and show long work by
`live_search.SearchView` and `live_training.TrainingView`.
"""
