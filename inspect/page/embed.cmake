# cmake -DOUTPUT=FILE.c -P embed.cmake: page.css and page.js as texts in C, numbers for bytes, since a
# compiler need not take a string that long.
set(source "#include \"inspect/page/sections.h\"\n")
foreach(kind css js)
  file(READ ${CMAKE_CURRENT_LIST_DIR}/page.${kind} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND source "const char pf_page_${kind}[] = {${bytes}0};\n")
endforeach()
file(WRITE ${OUTPUT} "${source}")
