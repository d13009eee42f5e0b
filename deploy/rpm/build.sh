#!/bin/bash
# Make the RPM package from this checkout: deploy/rpm/build.sh [FOLDER [OPTION OF RPMBUILD]...]
# FOLDER gets the sources and the packages (default: rpm/).
# It wants what `npm ci` and `npm run build` have made, npm, rpmbuild, and on Fedora and EL systemd-rpm-macros.
# With mock: deploy/rpm/build.sh, then mock --rebuild rpm/SRPMS/*.src.rpm
set -euo pipefail
cd "$(dirname "$0")/../.."
into=$(realpath -m "${1:-rpm}")
version=$(node -p 'require("./package.json").version')
test -e dist/main.js || { echo "dist/main.js is missing: npm run build" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
mkdir -p "$into/SOURCES"
npm pack --silent --ignore-scripts --pack-destination "$work" >/dev/null
mv "$work/kmod-gate-$version.tgz" "$into/SOURCES/"

# What is only for development goes; so does the embedded SQLite for a libc that Fedora and EL do not have.
cp -r package.json package-lock.json node_modules "$work/"
npm prune --prefix "$work" --silent --offline --omit=dev --ignore-scripts --no-audit --no-fund
rm -rf "$work"/node_modules/@libsql/*-musl* "$work/node_modules/.package-lock.json"
# Nor does what no program reads: types, maps, examples, tests.
find "$work/node_modules" \( -name '*.d.ts' -o -name '*.d.[cm]ts' -o -name '*.map' \) -delete
find "$work/node_modules" -depth -type d \( -name examples -o -name test -o -name tests -o -name '.*' \) -exec rm -r {} +
grep -rlZ '^#!/usr/bin/env node' "$work/node_modules" | xargs -0r sed -i '1s|^#!/usr/bin/env node|#!/usr/bin/node|'
tar -C "$work" --owner=0 --group=0 --sort=name --mtime=@0 \
    -czf "$into/SOURCES/kmod-gate-$version-modules.tgz" node_modules

rpmbuild --quiet -ba --define "_topdir $into" "${@:2}" deploy/rpm/kmod-gate.spec
find "$into/RPMS" "$into/SRPMS" -name '*.rpm'
