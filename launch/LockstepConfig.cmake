# find_package(Lockstep) gives one target per room: Lockstep::tensor, Lockstep::autodiff, ... What they use inside is found here.
include(CMakeFindDependencyMacro)
find_dependency(OpenMP COMPONENTS CXX)
find_dependency(hwy)
find_dependency(nlohmann_json)
if(NOT TARGET Lockstep::dnnl)
  find_library(LOCKSTEP_DNNL_LIBRARY dnnl)  # not its CMake package, which asks for OpenCL's headers
  if(NOT LOCKSTEP_DNNL_LIBRARY)
    set(Lockstep_FOUND FALSE)
    set(Lockstep_NOT_FOUND_MESSAGE "Lockstep needs oneDNN (libdnnl)")
    return()
  endif()
  add_library(Lockstep::dnnl UNKNOWN IMPORTED)
  set_target_properties(Lockstep::dnnl PROPERTIES IMPORTED_LOCATION ${LOCKSTEP_DNNL_LIBRARY})
endif()

include(${CMAKE_CURRENT_LIST_DIR}/LockstepTargets.cmake)
