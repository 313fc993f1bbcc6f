# shellcheck shell=bash
# Names and times the steps of a script. Source it, call `step NAME` before each, `steps_done` at the end.
# A script that fails says in which step.

steps_begun=$EPOCHREALTIME
step_begun=
step_name=

# Seconds since $1, with one decimal.
seconds_since() {
  local now=$EPOCHREALTIME
  local tenths=$(((${now/[.,]/} - ${1/[.,]/}) / 100000))
  printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

step_end() {
  [[ -z $step_name ]] || printf '   %s: %s\n' "$step_name" "$(seconds_since "$step_begun")"
  step_name=
}

step() {
  step_end
  step_name=$1
  step_begun=$EPOCHREALTIME
  printf '== %s\n' "$step_name"
}

steps_done() { step_end; }

# Says what is wrong and what to do about it, and ends the script.
fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

steps_on_exit() {
  local status=$?
  if ((status != 0)) && [[ -n $step_name ]]; then
    printf 'FAILED in "%s" after %s (exit status %d)\n' \
      "$step_name" "$(seconds_since "$steps_begun")" "$status" >&2
  fi
}
trap steps_on_exit EXIT
