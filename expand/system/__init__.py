"""Helpers that know nothing of networks or videos: atomic files, locks, signals, child processes, units.

Every package may use them, such as `errors.UserError` and `errors.RunFailed`, `files.write_atomic`,
`folders.locked`, `signals.interruptible`, `escaping.visible` and `console.say`.
"""
