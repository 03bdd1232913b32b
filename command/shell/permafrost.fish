# fish completion for permafrost and its programs, which say themselves what could come next.
#
# A program is asked only where permafrost lies beside it: other software has an extract, too.

function __permafrost_answer
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l file (command -s -- (string replace -r '^~/' "$HOME/" -- $words[1])); or return 1
    set file (realpath -- $file); or return 1
    test -x (dirname -- $file)/permafrost; or return 1
    set -l before ''
    string match -q -- '--*=*' "$typed"; and set before (string replace -r '=.*' '=' -- "$typed")
    set -l answer ($file --complete $words[2..-1] "$typed" 2>/dev/null)
    for line in $answer[2..-1]
        echo -- $before$line
    end
    switch "$answer[1]"
        case files
            __fish_complete_path (string replace -- "$before" '' "$typed") | string replace -r '^' -- "$before"
        case folders
            __fish_complete_directories (string replace -- "$before" '' "$typed") | string replace -r '^' -- "$before"
    end
end
for program in permafrost @PF_COMPLETED@
    complete -c $program -f -k -a '(__permafrost_answer)'
end
