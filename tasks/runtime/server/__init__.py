"""What is kept at a Prefect server, or waits for it.

Public: `prefect_artifacts.publish_artifacts`, `patience.patiently`,
`result_records.ReferenceSerializer`, `slots.tell_if_waiting`.
"""
