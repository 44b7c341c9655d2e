# Shared by the scripts beside it: what they need, and how they build. Source it; do not run it.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

# packages_of KIND...: the names in packages.txt.
packages_of() {
  local kind
  for kind in "$@"; do awk -v kind="$kind" '$1 == kind { print $2 }' scripts/packages.txt; done
}

# need_packages KIND...: installs what is missing, after saying so.
need_packages() {
  local wanted missing=() package
  wanted=$(packages_of "$@")
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    [ -n "${PKV_SKIP_PACKAGES:-}" ] && return
    say "this machine has no apt, so nothing can be installed for you."
    say "Install the equivalents of these Debian packages, then set PKV_SKIP_PACKAGES=1 and run this again:"
    printf '  %s\n' $wanted >&2
    say "docs/dependencies.md says what each is for, with the oldest version that works."
    exit 1
  fi
  for package in $wanted; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "these packages are missing, and there is neither root nor sudo to install them: ${missing[*]}"
      exit 1
    fi
    sudo=(sudo)
  fi
  say "installing with apt-get: ${missing[*]}"
  if ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
    say "that failed; refreshing the package lists and trying once more"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
}

# build PRESET TARGET...: configures, with the flags in configure_flags, and builds, quietly unless it fails. Nothing is
# written outside build/.
configure_flags=()
build() {
  local preset=$1 log
  shift
  mkdir -p "build/$preset"
  log=build/$preset/build.log
  say "building $* (build/$preset; log: $log)"
  if ! { cmake --preset "$preset" "${configure_flags[@]}" && cmake --build --preset "$preset" --target "$@"; } >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    say "the build failed; the whole log is in $log"
    exit 1
  fi
}

# machine_nvcc: prints the CUDA compiler that this machine brings, if it has one that is new enough, in the order of
# cmake/PkvCuda.cmake.
machine_nvcc() {
  local nvcc
  for nvcc in "${CUDACXX:-}" "$(command -v nvcc)" /usr/local/cuda/bin/nvcc; do
    if [[ $("$nvcc" --version 2>/dev/null) =~ release\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 12 ]; then
      printf '%s\n' "$nvcc"
      return
    fi
  done
  return 1
}

# has_gpu: whether there is a GPU that the CUDA engine can run on (compute capability 8.0 or later).
has_gpu() { nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | grep -Eq '^([89]|[1-9][0-9])\.'; }

# offer_cuda: where a GPU would be left idle for want of a compiler, says how to get one.
offer_cuda() {
  if has_gpu && ! machine_nvcc >/dev/null && [ ! -e build/cuda-toolkit ]; then
    say "there is an NVIDIA GPU but no CUDA compiler (12 or later), so this build runs on the CPU alone;"
    say "scripts/setup-cuda brings one into build/cuda-toolkit: 105 MB from PyPI, no root needed."
  fi
}

# built_with_cuda PRESET: whether build/PRESET has the CUDA engine.
built_with_cuda() { grep -qx 'PKV_HAVE_CUDA:INTERNAL=ON' "build/$1/CMakeCache.txt"; }
