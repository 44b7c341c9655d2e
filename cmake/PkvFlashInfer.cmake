# FlashInfer is optional and found by itself, in builds with CUDA: PKV_FLASHINFER_DIR names a folder that holds a wheel's
# flashinfer/data (an installed flashinfer-python's site-packages is one); else build/flashinfer, where
# scripts/setup-flashinfer puts one, is looked at. PKV_FLASHINFER: AUTO (headers that are found are used), ON (they must
# be found), OFF.
set(PKV_FLASHINFER AUTO CACHE STRING "Build FlashInfer's routes: AUTO, ON or OFF")
set_property(CACHE PKV_FLASHINFER PROPERTY STRINGS AUTO ON OFF)
set(PKV_FLASHINFER_DIR "" CACHE PATH "Folder with flashinfer/data of a flashinfer-python wheel (default: build/flashinfer)")

set(PKV_HAVE_FLASHINFER OFF)
set(PKV_FLASHINFER_INCLUDES "")
if(PKV_HAVE_CUDA AND NOT PKV_FLASHINFER STREQUAL "OFF")
  set(folder ${PKV_FLASHINFER_DIR})
  if(NOT folder)
    set(folder ${CMAKE_CURRENT_SOURCE_DIR}/build/flashinfer)
  endif()
  set(data ${folder}/flashinfer/data)
  if(EXISTS ${data}/include/flashinfer/attention/decode.cuh)
    # Its CCCL first: fastdiv.cuh needs one that is newer than the toolkit's may be.
    set(PKV_FLASHINFER_INCLUDES
      ${data}/cccl/libcudacxx/include ${data}/cccl/cub ${data}/cccl/thrust ${data}/include)
    set(PKV_HAVE_FLASHINFER ON)
    message(STATUS "FlashInfer: ${data}")
  elseif(PKV_FLASHINFER_DIR OR PKV_FLASHINFER STREQUAL "ON")
    message(FATAL_ERROR "FlashInfer: ${data}/include/flashinfer is not there: run scripts/setup-flashinfer, or set "
      "PKV_FLASHINFER_DIR to a folder with flashinfer/data of a flashinfer-python wheel")
  endif()
elseif(PKV_FLASHINFER STREQUAL "ON")
  message(FATAL_ERROR "PKV_FLASHINFER is ON, but this build has no CUDA")
endif()
set(PKV_HAVE_FLASHINFER ${PKV_HAVE_FLASHINFER} CACHE INTERNAL "Whether this build has FlashInfer's routes")  # for scripts/
if(NOT PKV_HAVE_FLASHINFER)
  message(STATUS "FlashInfer: OFF")
endif()
