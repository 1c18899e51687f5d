"""A request: prompt, JSON schema, key; and the answer, parsed and checked.

Public: `chat_request.build_chat_request`, `json_schema.Dialect`, `parsing.parse`,
`parsing.check_ids`.
"""
