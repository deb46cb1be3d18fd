# SPDX-License-Identifier: Apache-2.0
# The ops without Python: a static library, linked by the module and by the C++ tests.

set(deblur_names blend reblur sharpness warp)
list(TRANSFORM deblur_names REPLACE "(.+)" "\\1/\\1_task.cpp" OUTPUT_VARIABLE deblur_tasks)
list(TRANSFORM deblur_names REPLACE "(.+)" "\\1/\\1_cpu.cpp" OUTPUT_VARIABLE deblur_loops)
list(TRANSFORM deblur_names REPLACE "(.+)" "\\1/\\1_cuda.cu" OUTPUT_VARIABLE deblur_kernels)
list(TRANSFORM deblur_names REPLACE "(.+)" "\\1/\\1_bindings.cpp" OUTPUT_VARIABLE deblur_bindings)

add_library(deblur_ops STATIC for_each.cpp isa.cpp ${deblur_tasks})
target_include_directories(deblur_ops PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(deblur_ops PUBLIC Threads::Threads)

if(MSVC)
  set(deblur_flags /O2 /fp:precise)
else()
  # No contraction: every instruction set, and CUDA built with --fmad=false, then rounds alike.
  set(deblur_flags -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off -Wall -Wextra)
  # Vectors are never passed between functions that are not inlined, so how they would be passed does not matter.
  list(APPEND deblur_flags $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi>)
endif()

function(deblur_add_loops isa)
  add_library(deblur_${isa} OBJECT ${deblur_loops})
  target_include_directories(deblur_${isa} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_definitions(deblur_${isa} PRIVATE DEBLUR_ISA=isa_${isa})
  target_compile_options(deblur_${isa} PRIVATE ${deblur_flags} ${ARGN})
  target_sources(deblur_ops PRIVATE $<TARGET_OBJECTS:deblur_${isa}>)
endfunction()

# x86-64: the same loops for three levels, chosen when the module is loaded. Elsewhere the base is the only one. Vectors
# of 512 bits at the last, which a compiler would not use by itself: transfer curves and a path's taps take a third less
# time by them, and nothing more.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT MSVC AND NOT CMAKE_OSX_ARCHITECTURES)
  deblur_add_loops(base -march=x86-64-v2)
  deblur_add_loops(v3 -march=x86-64-v3)
  deblur_add_loops(v4 -march=x86-64-v4 -mprefer-vector-width=512)
  target_compile_definitions(deblur_ops PRIVATE DEBLUR_MULTI_ISA)
else()
  deblur_add_loops(base)
endif()

# ---- CUDA: from the same maths, compiled in where nvcc is found, used where a driver is.

string(TOLOWER "${DEBLUR_CUDA}" deblur_cuda)
if(deblur_cuda STREQUAL "auto")
  include(CheckLanguage)
  check_language(CUDA)
  set(deblur_cuda ${CMAKE_CUDA_COMPILER})
endif()

if(deblur_cuda)
  # A toolkit that lacks some of the architectures builds those that it has.
  set(CMAKE_CUDA_ARCHITECTURES OFF)
  enable_language(CUDA)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch OUTPUT_VARIABLE deblur_known)
  set(deblur_archs "")
  foreach(arch ${DEBLUR_CUDA_ARCHS})
    if(deblur_known MATCHES "compute_${arch}\n")
      list(APPEND deblur_archs ${arch})
    else()
      message(STATUS "CUDA architecture ${arch} is unknown to ${CMAKE_CUDA_COMPILER} and left out")
    endif()
  endforeach()
  if(NOT deblur_archs)
    message(FATAL_ERROR "None of DEBLUR_CUDA_ARCHS=${DEBLUR_CUDA_ARCHS} is known to ${CMAKE_CUDA_COMPILER}")
  endif()
  # Machine code for each, and for GPUs yet to come the last one's PTX.
  list(POP_BACK deblur_archs deblur_last)
  list(TRANSFORM deblur_archs APPEND "-real")
  set(deblur_targets ${deblur_archs} ${deblur_last})

  target_sources(deblur_ops PRIVATE device_cuda.cu ${deblur_kernels})
  set_target_properties(deblur_ops PROPERTIES
    CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_ARCHITECTURES "${deblur_targets}" CUDA_RUNTIME_LIBRARY Static)
  target_compile_definitions(deblur_ops PUBLIC DEBLUR_WITH_CUDA)
  target_compile_options(deblur_ops PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -Xfatbin=-compress-all $<$<BOOL:${DEBLUR_CUDA_VERBOSE}>:-Xptxas=-v>>)
  string(REPLACE ";" " " deblur_archs_text "${deblur_targets}")
  message(STATUS "CUDA kernels: ${deblur_archs_text}, with ${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION}")
else()
  set(deblur_archs_text "")
  message(STATUS "CUDA kernels: none")
endif()
