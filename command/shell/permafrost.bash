# bash completion for permafrost and its programs, which say themselves what could come next.
#
# A program is asked only where permafrost lies beside it: other software has an extract, too.

_permafrost() {
  local IFS=$'\n' program file line kind word
  local -a words
  COMPREPLY=()
  program=${COMP_WORDS[0]/#\~\//$HOME/}
  file=$(type -P -- "$program") && file=$(readlink -f -- "$file") || return
  [[ -x ${file%/*}/permafrost ]] || return

  # The line as it is typed, up to the cursor: readline takes words apart at = and :, too.
  local i last='' joined=
  words=()
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ -n $joined || ( $word == [=:]* && ${#words[@]} -gt 0 ) ]]; then
      words[${#words[@]}-1]+=$word
    else
      words+=("$word")
    fi
    joined=
    [[ $word == *[=:] && $i -lt $COMP_CWORD ]] && joined=1
  done
  last=${words[${#words[@]}-1]}
  # Words reach the program as the shell would hand them over; nothing in them is run.
  for i in "${!words[@]}"; do
    word=${words[i]}
    word=${word/#\~\//$HOME/}
    word=${word//\\ / }
    word=${word//[\"\']/}
    words[i]=$word
  done

  { read -r kind; while read -r line; do
    COMPREPLY+=("$(printf %q "${line%%$'\t'*}")")
  done; } < <("$file" --complete "${words[@]}" 2> /dev/null)

  local typed=$last
  [[ $typed == --*=* ]] && typed=${typed#*=}
  case $kind in
    files) compopt -o filenames; COMPREPLY+=($(compgen -f -- "${typed//[\"\']/}")) ;;
    folders) compopt -o filenames; COMPREPLY+=($(compgen -d -- "${typed//[\"\']/}")) ;;
  esac
  # Of "random:0" readline replaces what follows the colon only.
  if [[ $typed == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local before=${typed%"${typed##*:}"}
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$before"}; done
  fi
  if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]]; then compopt -o nospace; fi
}
complete -F _permafrost permafrost @PF_COMPLETED@
