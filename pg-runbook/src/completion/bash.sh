_FUNCTION() {
    # The line as it is, because COMP_WORDS doesn't tell a=b from a = b.
    mapfile -t COMPREPLY < <(COMPLETE=bash TOOL -- "$2" "${COMP_LINE:0:COMP_POINT}" "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)
    case ${COMPREPLY-} in
        *[=/]) compopt -o nospace ;;
    esac
}
complete -o nosort -o bashdefault -F _FUNCTION NAME
