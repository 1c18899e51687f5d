"""The pages and files that a run leaves behind.

- `html`: `render`: the page of a run, from `data.ReportData`;
- `reproduction_page`: the page of a reproduction of the paper;
- `figures`, `plots`: SVG plots; `summary`: `summary.json`; `folder`: `runs/<run name>/`.
"""
