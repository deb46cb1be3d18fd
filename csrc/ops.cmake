# SPDX-License-Identifier: Apache-2.0
# The ops without Python: a static library, linked by the module and by the C++ tests.

add_library(deblur_ops STATIC for_each.cpp ops_cpu.cpp)
target_include_directories(deblur_ops PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(deblur_ops PUBLIC Threads::Threads)

set(deblur_loops blend/blend_cpu.cpp reblur/reblur_cpu.cpp sharpness/sharpness_cpu.cpp warp/warp_cpu.cpp)

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

# x86-64: the same loops for three levels, chosen when the module is loaded. Elsewhere the base is the only one.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT MSVC AND NOT CMAKE_OSX_ARCHITECTURES)
  deblur_add_loops(base -march=x86-64-v2)
  deblur_add_loops(v3 -march=x86-64-v3)
  deblur_add_loops(v4 -march=x86-64-v4 -mprefer-vector-width=512)
  target_compile_definitions(deblur_ops PRIVATE DEBLUR_MULTI_ISA)
else()
  deblur_add_loops(base)
endif()
