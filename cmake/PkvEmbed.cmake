# pkv_embed_json(VARIABLE FOLDER TYPE): sets VARIABLE to the initializers of a C++ array, TYPE{"name", R"json(text)json"} for
# each FOLDER/name.json, so that an installed program has these files wherever it is run.
function(pkv_embed_json variable folder type)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.json)
  set(initializers "")
  foreach(file IN LISTS files)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    get_filename_component(name ${file} NAME_WLE)
    file(READ ${file} json)
    string(APPEND initializers "      ${type}{\"${name}\", R\"json(${json})json\"},\n")
  endforeach()
  set(${variable} "${initializers}" PARENT_SCOPE)
endfunction()
