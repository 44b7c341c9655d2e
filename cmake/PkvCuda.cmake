# CUDA is optional and found by itself. PKV_CUDA: AUTO (a toolkit that is found is used), ON (it must be found), OFF.
set(PKV_CUDA AUTO CACHE STRING "Build what needs the CUDA toolkit: AUTO, ON or OFF")
set_property(CACHE PKV_CUDA PROPERTY STRINGS AUTO ON OFF)

set(PKV_HAVE_CUDA OFF)
if(NOT PKV_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER AND EXISTS /usr/local/cuda/bin/nvcc)
    set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)  # NVIDIA's installer does not put it on PATH
  endif()
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES native)
    execute_process(COMMAND nvidia-smi OUTPUT_QUIET ERROR_QUIET RESULT_VARIABLE no_gpu)
    if(NOT no_gpu EQUAL 0)
      set(CMAKE_CUDA_ARCHITECTURES 80)  # no GPU here to ask: the oldest that is supported
    endif()
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    string(APPEND CMAKE_CUDA_FLAGS " -std=c++20")  # CMake 3.25 does not know that nvcc can
    find_package(CUDAToolkit REQUIRED)
    set(PKV_HAVE_CUDA ON)
  elseif(PKV_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PKV_CUDA is ON, but no CUDA compiler was found: set CUDACXX, or put nvcc on PATH")
  endif()
endif()
message(STATUS "CUDA: ${PKV_HAVE_CUDA}")
