#pragma once
// Lockstep's table of contents: everything a program needs, room by room.

#include <lockstep/autodiff/control_flow.h>
#include <lockstep/autodiff/function.h>
#include <lockstep/autodiff/tape.h>
#include <lockstep/io/batch_source.h>
#include <lockstep/io/confusion_matrix.h>
#include <lockstep/io/csv.h>
#include <lockstep/io/dataset.h>
#include <lockstep/io/fashion_mnist.h>
#include <lockstep/io/idx.h>
#include <lockstep/io/image.h>
#include <lockstep/io/npz.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/device.h>
#include <lockstep/tensor/dlpack.h>
#include <lockstep/tensor/dtype.h>
#include <lockstep/tensor/npy.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/print.h>
#include <lockstep/tensor/random.h>
#include <lockstep/tensor/shape.h>
#include <lockstep/tensor/tensor.h>
#include <lockstep/tensor/variable.h>
