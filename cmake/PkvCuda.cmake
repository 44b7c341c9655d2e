# CUDA is optional and found by itself. PKV_CUDA: AUTO (a toolkit that is found is used), ON (it must be found), OFF.
# The compiler is that of CMAKE_CUDA_COMPILER or CUDACXX, or the first of version 12 or later on PATH, in /usr/local/cuda
# and in build/cuda-toolkit, where scripts/setup-cuda puts one.
set(PKV_CUDA AUTO CACHE STRING "Build what needs the CUDA toolkit: AUTO, ON or OFF")
set_property(CACHE PKV_CUDA PROPERTY STRINGS AUTO ON OFF)

function(pkv_check_nvcc result nvcc)
  execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE said ERROR_QUIET)
  if(NOT said MATCHES "release ([0-9]+)" OR CMAKE_MATCH_1 LESS 12)
    message(STATUS "CUDA: ${nvcc} is passed over: it is not version 12 or later")
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()

# The architectures of this machine's GPUs, as machine code alone. 9.0 is compiled as 90a, whose instructions (wgmma,
# setmaxnreg) run on no other. Without a GPU to ask, or with older ones: 80, the oldest that is supported.
function(pkv_own_architectures result)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE capabilities ERROR_QUIET RESULT_VARIABLE no_gpu)
  set(architectures)
  if(no_gpu EQUAL 0)
    string(REGEX MATCHALL "[0-9]+\\.[0-9]" capabilities "${capabilities}")
    foreach(capability IN LISTS capabilities)
      string(REPLACE "." "" architecture ${capability})
      if(architecture EQUAL 90)
        list(APPEND architectures 90a-real)
      elseif(architecture GREATER_EQUAL 80)
        list(APPEND architectures ${architecture}-real)
      endif()
    endforeach()
    list(REMOVE_DUPLICATES architectures)
  endif()
  if(NOT architectures)
    set(architectures 80)
  endif()
  set(${result} ${architectures} PARENT_SCOPE)
endfunction()

set(PKV_HAVE_CUDA OFF)
if(NOT PKV_CUDA STREQUAL "OFF")
  if(NOT CMAKE_CUDA_COMPILER)
    unset(CMAKE_CUDA_COMPILER CACHE)  # what an earlier run of CMake did not find may be there now
    if(NOT DEFINED ENV{CUDACXX})
      find_program(PKV_NVCC nvcc NO_CACHE VALIDATOR pkv_check_nvcc
        PATHS /usr/local/cuda/bin ${CMAKE_CURRENT_SOURCE_DIR}/build/cuda-toolkit/nvidia/cu13/bin)
      if(PKV_NVCC)
        set(ENV{CUDACXX} ${PKV_NVCC})
      endif()
    endif()
    if(DEFINED ENV{CUDACXX})
      include(CheckLanguage)
      check_language(CUDA)  # one that cannot compile, for want of a host compiler that it knows, counts as none
    endif()
  endif()
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    pkv_own_architectures(CMAKE_CUDA_ARCHITECTURES)
  endif()
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    string(APPEND CMAKE_CUDA_FLAGS " -std=c++20")  # CMake 3.25 does not know that nvcc can
    # CMake 3.25.0 and .1 (Debian 12) set a property of this target, which toolkits from 13 on do not have any more.
    if(CMAKE_VERSION VERSION_LESS 3.26 AND NOT TARGET CUDA::nvToolsExt)
      add_library(CUDA::nvToolsExt INTERFACE IMPORTED GLOBAL)
    endif()
    find_package(CUDAToolkit REQUIRED)  # CUDA::cudart_static
    set(PKV_HAVE_CUDA ON)
  elseif(PKV_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PKV_CUDA is ON, but no CUDA compiler of version 12 or later works here: run scripts/setup-cuda, "
      "set CUDACXX, or put nvcc on PATH")
  endif()
endif()
set(PKV_HAVE_CUDA ${PKV_HAVE_CUDA} CACHE INTERNAL "Whether this build has the CUDA engine")  # for scripts/ to read
if(PKV_HAVE_CUDA)
  message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER_VERSION}, ${CMAKE_CUDA_COMPILER}, for ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "CUDA: OFF")
endif()
