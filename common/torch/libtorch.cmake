# Which libtorch the plugin is built against, all of it from one place: of two in one process the
# second ends it when it is loaded.
#
# PF_TORCH_FOLDER names a folder: site-packages/torch of a Python, an unpacked libtorch, or one in
# which a Python lies. Without it, Debian's libtorch-dev, or what CMAKE_PREFIX_PATH leads to.
set(PF_TORCH_FOLDER "" CACHE PATH "libtorch to build against, such as .../site-packages/torch")

# A folder is taken as it is: TorchConfig.cmake looks for the libraries of its own folder in the
# system's first, and of a build with CUDA wants the compiler of CUDA, which nothing here needs.
function(pf_torch_of_folder)
  file(GLOB places ${PF_TORCH_FOLDER} ${PF_TORCH_FOLDER}/torch ${PF_TORCH_FOLDER}/libtorch
    ${PF_TORCH_FOLDER}/lib/python3*/site-packages/torch)
  foreach(place IN LISTS places)
    if(EXISTS ${place}/lib/libtorch.so AND EXISTS ${place}/include/ATen/ATen.h)
      set(folder ${place})
      break()
    endif()
  endforeach()
  if(NOT folder)
    message(FATAL_ERROR "PF_TORCH_FOLDER: expected a folder with lib/libtorch.so and include/ATen/ATen.h "
      "in it, in torch/ or in lib/python3*/site-packages/torch/, found none in '${PF_TORCH_FOLDER}'. "
      "Hint: python -c 'import torch; print(torch.__path__[0])' says where a Python's is")
  endif()
  include(${folder}/share/cmake/Torch/TorchConfigVersion.cmake) # PACKAGE_VERSION
  file(STRINGS ${folder}/share/cmake/Torch/TorchConfig.cmake abi REGEX "_GLIBCXX_USE_CXX11_ABI=[01]")
  string(REGEX MATCH "-D_GLIBCXX_USE_CXX11_ABI=[01]" abi "${abi}")
  add_library(pf_libtorch INTERFACE)
  target_include_directories(pf_libtorch SYSTEM INTERFACE ${folder}/include ${folder}/include/torch/csrc/api/include)
  target_link_libraries(pf_libtorch INTERFACE
    ${folder}/lib/libtorch.so ${folder}/lib/libtorch_cpu.so ${folder}/lib/libc10.so)
  set(TORCH_LIBRARIES pf_libtorch PARENT_SCOPE)
  set(TORCH_CXX_FLAGS "${abi}" PARENT_SCOPE)
  set(Torch_VERSION ${PACKAGE_VERSION} PARENT_SCOPE)
  message(STATUS "libtorch ${PACKAGE_VERSION}: ${folder}")
endfunction()

# Libraries of Torch that CMake has found, by target or by path.
function(pf_torch_files out)
  set(files)
  foreach(library IN LISTS TORCH_LIBRARIES ITEMS torch torch_cpu c10)
    if(TARGET ${library})
      foreach(property IMPORTED_LOCATION IMPORTED_LOCATION_RELEASE IMPORTED_LOCATION_NONE
          IMPORTED_LOCATION_RELWITHDEBINFO)
        get_target_property(file ${library} ${property})
        list(APPEND files ${file})
      endforeach()
    else()
      list(APPEND files ${library})
    endif()
  endforeach()
  list(FILTER files INCLUDE REGEX "/lib(torch|c10)[^/]*\\.so")
  set(${out} ${files} PARENT_SCOPE)
endfunction()

function(pf_torch_is_one)
  pf_torch_files(files)
  foreach(file IN LISTS files)
    get_filename_component(file ${file} REALPATH)
    get_filename_component(folder ${file} DIRECTORY)
    list(APPEND folders ${folder})
  endforeach()
  list(REMOVE_DUPLICATES folders)
  list(LENGTH folders count)
  if(count GREATER 1)
    list(JOIN folders " and " folders)
    message(FATAL_ERROR "two libtorch at once: libraries of ${folders} would be linked together, and no "
      "run could load them. Hint: -DPF_TORCH_FOLDER=FOLDER (make TORCH=FOLDER) takes all of them from one")
  endif()
endfunction()

# NCCL, where this libtorch has it and its headers and CUDA's can be had: those that PyPI's packages
# bring lie beside torch.
function(pf_torch_find_nccl includes_out libraries_out)
  pf_torch_files(files)
  set(torch_includes ${TORCH_INCLUDE_DIRS})
  if(TARGET pf_libtorch) # which a project of its own, such as try_compile's, does not know
    get_target_property(files pf_libtorch INTERFACE_LINK_LIBRARIES)
    get_target_property(torch_includes pf_libtorch INTERFACE_INCLUDE_DIRECTORIES)
  endif()
  list(GET files 0 file)
  get_filename_component(folder ${file} DIRECTORY)
  if(NOT EXISTS ${folder}/libtorch_cuda.so)
    return()
  endif()
  file(GLOB includes ${folder}/../../nvidia/*/include)
  list(APPEND includes ${CUDA_INCLUDE_DIRS})
  try_compile(PF_HAS_NCCL ${CMAKE_CURRENT_BINARY_DIR}/nccl ${CMAKE_SOURCE_DIR}/cmake/nccl_check.cpp
    CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${torch_includes};${includes}"
    LINK_LIBRARIES ${files} ${folder}/libtorch_cuda.so ${folder}/libc10_cuda.so
    CXX_STANDARD ${CMAKE_CXX_STANDARD} OUTPUT_VARIABLE output)
  if(NOT PF_HAS_NCCL)
    message(STATUS "no headers of NCCL and CUDA: gradients of GPUs go by Gloo, through the host")
    return()
  endif()
  message(STATUS "NCCL: gradients of GPUs go by it")
  set(${includes_out} ${includes} PARENT_SCOPE)
  set(${libraries_out} ${folder}/libtorch_cuda.so ${folder}/libc10_cuda.so PARENT_SCOPE)
endfunction()

if(PF_TORCH_FOLDER)
  pf_torch_of_folder()
else()
  find_package(Torch REQUIRED)
  pf_torch_is_one()
endif()
