#!/bin/sh
# Set the main.tex of the folder this is run in, into build/; where TeX fails, the end of what it said.
# The date is fixed, so that the file differs only where the text does.
mkdir -p build
export SOURCE_DATE_EPOCH=0 FORCE_SOURCE_DATE=1
latexmk -pdf -interaction=nonstopmode -halt-on-error -outdir=build main.tex >build/latexmk.out 2>&1 || {
  tail -n 40 build/latexmk.out >&2
  exit 1
}
