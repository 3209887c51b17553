"""How many strokes a hand-drawn layout takes, without loading the drawing library; the drawing itself is
core.figures.lesson_layouts."""

from core.models.head_sharing import Layout


def count_strokes(num_query_heads: int, num_kv_heads: int) -> int:
    """Strokes from blank paper to what is kept: one for the row, then pairs and lines, then the count.

    MHA draws pair and line together (H strokes), MQA one pair and H lines, GQA the cut and two for each run.
    """
    layout = Layout(num_query_heads=num_query_heads, num_kv_heads=num_kv_heads)
    between = {"MHA": num_query_heads, "MQA": 1 + num_query_heads, "GQA": 1 + 2 * num_kv_heads}[layout.kind]
    return 1 + between + 1
