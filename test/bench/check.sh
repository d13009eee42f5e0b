# check.mjs's peer in shell, the common practice: check.sh MODULE.SYMVERS RPM...
# Each `kernel(SYM) = 0xCRC` that an rpm requires is looked for with grep. Prints how many each rpm does not find.
symvers=$1
shift
for rpm; do
  changed=$(
    rpm -qp --requires "$rpm" | sed -n 's/^kernel(\(.*\)) = \(0x[0-9a-f]*\)$/\2\t\1\t/p' |
      while IFS= read -r line; do
        grep -qF "$line" "$symvers" || echo "$line"
      done | wc -l
  )
  echo "$(basename "$rpm" .rpm) $changed"
done
