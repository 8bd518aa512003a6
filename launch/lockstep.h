#pragma once
// Lockstep's table of contents: everything a program needs, room by room.

#include <lockstep/autodiff/control_flow.h>
#include <lockstep/autodiff/function.h>
#include <lockstep/autodiff/tape.h>
#include <lockstep/nn/activations.h>
#include <lockstep/nn/constraints.h>
#include <lockstep/nn/initializers.h>
#include <lockstep/nn/regularizers.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/device.h>
#include <lockstep/tensor/dtype.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/print.h>
#include <lockstep/tensor/random.h>
#include <lockstep/tensor/shape.h>
#include <lockstep/tensor/tensor.h>
#include <lockstep/tensor/variable.h>
