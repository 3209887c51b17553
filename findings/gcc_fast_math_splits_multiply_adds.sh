#!/usr/bin/env bash
# g++ with -ffast-math, or with -fassociative-math alone, undoes the multiply-adds of a sum that takes four products a turn: eight sums in
# registers take two products, two multiply-adds and two additions each where there were four multiply-adds: 48 operations for 32.
# A kernel that scored keys so reached two thirds of its processor's rate for it, and all of it without. clang with the same flags keeps them all.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
[ "$(uname -m)" = x86_64 ] || { echo "for x86-64 on Debian 12"; exit 2; }
(cd "$work" && apt-get download -qq gcc-12=12.2.0-14+deb12u1 cpp-12=12.2.0-14+deb12u1 libisl23 libmpc3 libmpfr6 libgmp10 2>/dev/null &&
  for package in *.deb; do dpkg -x "$package" gcc; done)
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q ziglang==0.15.1
cat > "$work/sums.c" <<'C'
typedef float vector __attribute__((vector_size(64), aligned(4)));
void score(const float *keys, const float *query, float *scores) {
  vector sums[8] = {};
  for (int i = 0; i < 128; i += 4)
#pragma GCC unroll 4
    for (int j = i; j < i + 4; ++j)
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r) sums[r] += *(const vector *)(keys + j * 16) * query[j * 8 + r];
  for (int r = 0; r < 8; ++r) *(vector *)(scores + r * 16) = sums[r];
}
C
gcc() { LD_LIBRARY_PATH="$work/gcc/usr/lib/x86_64-linux-gnu" "$work/gcc/usr/bin/x86_64-linux-gnu-gcc-12" -march=skylake-avx512 "$@"; }
clang() { "$work/v/bin/python" -m ziglang cc -target x86_64-linux -mcpu=skylake_avx512 -ffp-contract=fast "$@" 2>/dev/null; }
counts() {  # multiply-adds, products and additions of vectors in what a compiler with these flags made
  compiler=$1; shift
  "$compiler" -O3 "$@" -S "$work/sums.c" -o "$work/sums.s"
  echo "$(grep -c vfmadd "$work/sums.s") $(grep -c vmulps "$work/sums.s") $(grep -c vaddps "$work/sums.s")" || true
}
"$work/gcc/usr/bin/x86_64-linux-gnu-gcc-12" --version | head -1
plain=$(counts gcc) split=$(counts gcc -fassociative-math -fno-signed-zeros -fno-trapping-math) fast=$(counts gcc -ffast-math)
clang_plain=$(counts clang) clang_fast=$(counts clang -ffast-math)
echo "multiply-adds, products, additions: gcc $plain; with -fassociative-math $split; with -ffast-math $fast"
echo "clang (zig 0.15.1) $clang_plain; with -ffast-math $clang_fast"
[ "$plain" = "32 0 0" ] && [ "$split" = "16 16 16" ] && [ "$fast" = "16 16 16" ] && [ "$clang_plain" = "$clang_fast" ]
