"""The objects that install the operator, and the files of `manifests/` and of the chart.

`python -m dfastllm_operator.install` writes those files. The running operator imports none of this.
"""
