complete --keep-order --exclusive --command NAME --arguments "(COMPLETE=fish TOOL -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor))"
