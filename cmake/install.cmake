# What is installed besides programs and libraries: man pages, completions of shells, documents, the
# makefile of pipelines; and `uninstall`. pf_programs: the programs, each of which writes its page.

# ---- man pages, by the programs themselves ----
string(TIMESTAMP today "%Y-%m-%d" UTC) # of SOURCE_DATE_EPOCH, if that is set
set(pages ${CMAKE_BINARY_DIR}/man)
file(MAKE_DIRECTORY ${pages})
foreach(program IN LISTS pf_programs ITEMS permafrost)
  set(target ${program})
  set(page ${pages}/permafrost-${program}.1)
  if(program STREQUAL permafrost)
    set(target permafrost_command)
    set(page ${pages}/permafrost.1)
  endif()
  add_custom_command(OUTPUT ${page} COMMAND ${target} --man-page ${today} > ${page} DEPENDS ${target} VERBATIM)
  list(APPEND pf_pages ${page})
endforeach()
add_custom_target(man_pages ALL DEPENDS ${pf_pages})
install(FILES ${pf_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# In a package the programs lie in a folder of their own: a system may have another extract, and a
# page of it. Where they are in bin, `man extract` is about ours.
if(CMAKE_INSTALL_BINDIR STREQUAL "bin")
  foreach(program IN LISTS pf_programs)
    file(WRITE ${pages}/${program}.1 ".so man1/permafrost-${program}.1\n")
    install(FILES ${pages}/${program}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  endforeach()
endif()

# ---- completions ----
list(JOIN pf_programs " " PF_COMPLETED)
foreach(script permafrost.bash _permafrost permafrost.fish)
  configure_file(command/shell/${script} ${CMAKE_BINARY_DIR}/shell/${script} @ONLY)
endforeach()
# bash and fish look for a file by the command's name.
set(bash ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
set(fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
foreach(command IN LISTS pf_programs ITEMS permafrost)
  install(FILES ${CMAKE_BINARY_DIR}/shell/permafrost.bash DESTINATION ${bash} RENAME ${command})
  install(FILES ${CMAKE_BINARY_DIR}/shell/permafrost.fish DESTINATION ${fish} RENAME ${command}.fish)
endforeach()
install(FILES ${CMAKE_BINARY_DIR}/shell/_permafrost DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)

# ---- documents, and the makefile of pipelines ----
install(FILES README.md NEWS.md SECURITY.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN design EXCLUDE)
install(FILES pipeline.mk DESTINATION ${CMAKE_INSTALL_DATADIR}/permafrost)

# ---- and away again ----
configure_file(cmake/uninstall.cmake.in ${CMAKE_BINARY_DIR}/uninstall.cmake @ONLY)
add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -P ${CMAKE_BINARY_DIR}/uninstall.cmake VERBATIM)
