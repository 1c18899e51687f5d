"""Ways to an endpoint: OpenAI's HTTP, litellm, batch files.

Public: `base.Transport`, `base.Completion`, `openai_http.OpenAIHttpTransport`,
`litellm.LiteLLMTransport`, `batch.BatchTransport`.
"""
