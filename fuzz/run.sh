#!/bin/sh
# Fuzzes targets one after the other: fuzz/run.sh SECONDS TARGET...
# SANITIZER= leaves the address sanitizer out; FEATURES= leaves out the targets that need the engine.
# What fails stays in fuzz/artifacts/TARGET-*; what was found on the way in target/fuzz-corpus/TARGET.
set -eu
cd "$(dirname "$0")"
seconds=$1
shift
host=$(rustc -vV | sed -n 's/^host: //p')
target=$PWD/../target
sancov="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
# -Zsanitizer is for compilers that are not released; this variable lets a released one take it.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing ${SANITIZER--Zsanitizer=address} $sancov" \
    cargo build --release --target "$host" --target-dir "$target/fuzz" --no-default-features \
    --features "${FEATURES-engine}" $(printf ' --bin %s' "$@")
mkdir -p artifacts
# The parsers' files are in memory where there is such a place.
TMPDIR=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo /tmp)")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
for name in "$@"; do
    mkdir -p "$target/fuzz-corpus/$name" "regressions/$name"
    dictionary=
    [ -f "dictionaries/$name.dict" ] && dictionary=-dict=dictionaries/$name.dict
    RAYON_NUM_THREADS=1 "$target/fuzz/$host/release/$name" \
        "$target/fuzz-corpus/$name" "seeds/$name" "regressions/$name" $dictionary \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=16384 \
        -artifact_prefix="artifacts/$name-" -print_final_stats=1 2>"artifacts/$name.log" ||
        echo "$name: see fuzz/artifacts/$name.log"
    grep -a -E "stat::number_of_executed_units" "artifacts/$name.log" | sed "s/.*: */$name /"
done
rmdir regressions/* 2>/dev/null || true
