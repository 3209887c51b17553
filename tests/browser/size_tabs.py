"""The tabs of Size by name, in their order."""

SIZE_TABS = (
    "The plan", "Engine", "Server log", "Every G", "Make it fit", "Limits", "Tensor parallel", "Traffic",
    "Speed and cost", "Measure", "Side by side", "Record",
)  # fmt: skip
