"""What the command lines share: parameters, help, messages, signals, Prefect's server.

Public: `command.run`, `command.parse`, `help.parameters`, `signals.stop_on_signal`,
`watch.watching_under_worker`.
"""
