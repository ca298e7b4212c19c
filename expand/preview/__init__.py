"""Pictures of what networks see of videos: single frames, clips, and contact sheets of many clips.

The command calls `frames.write_frames` and `frames.write_clips` for a single video, and
`feed.feed_of_search`, `feed.feed_of_training` and `contact_sheet.write_sheets` for a data set.
"""
