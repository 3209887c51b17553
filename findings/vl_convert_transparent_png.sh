#!/usr/bin/env bash
# vl-convert's PNG of a drawing without a background clips each channel of a half-transparent pixel to its alpha: orange
# (200, 98, 15) at an opacity of 0.34 comes out as (87, 87, 15, 87), khaki on any page, where the SVG shows pale orange. On
# a drawing with a background the same mark has its right colour.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q vl-convert-python==1.9.0.post1 pillow==12.0.0
"$work/v/bin/python" - <<'P'
import io, sys
import vl_convert
from PIL import Image
head = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10">'
mark = '<rect width="10" height="10" fill="#c8620f" opacity="0.34"/></svg>'
page = '<rect width="10" height="10" fill="#ffffff"/>'
def pixel(svg):
    return Image.open(io.BytesIO(vl_convert.svg_to_png(svg))).convert("RGBA").getpixel((5, 5))
clear, filled = pixel(head + mark), pixel(head + page + mark)
print("vl-convert 1.9.0.post1, alone:", clear, "| on white:", filled, "| right alone: (200, 98, 15, 87)")
sys.exit(0 if clear == (87, 87, 15, 87) and max(abs(a - b) for a, b in zip(filled, (236, 202, 173, 255))) <= 1 else 1)
P
