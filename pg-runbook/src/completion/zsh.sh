#compdef NAME
_FUNCTION() {
    local -a lines ended open
    local line value
    lines=("${(@f)$(COMPLETE=zsh TOOL -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    for line in $lines; do
        value=${line%%$'\t'*}
        line=${${${value//\\/\\\\}//:/\\:}}:${line#*$'\t'}
        case $value in
            *[=/]) open+=("$line") ;;
            *) ended+=("$line") ;;
        esac
    done
    (( $#open )) && _describe -V NAME open -S ''
    (( $#ended )) && _describe -V NAME ended
}
# Read as a file of completions it is the function itself; read by source it only says where that is.
if [[ $funcstack[1] == _NAME ]]; then
    _FUNCTION "$@"
else
    compdef _FUNCTION NAME
fi
