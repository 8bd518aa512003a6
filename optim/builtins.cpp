// The built-in optimizers, by their names. Short names are Keras's: any case, and no short name for Lamb.

#include <lockstep/optim/adagrad.h>
#include <lockstep/optim/adam.h>
#include <lockstep/optim/matrix.h>
#include <lockstep/optim/sgd.h>
#include <lockstep/optim/wrappers.h>

namespace lockstep::optim {

void Optimizer::register_builtins() {
  static const bool once = [] {
    register_class(component_class<SGD>("SGD", kModule, {}, {"sgd"}));
    register_class(component_class<RMSprop>("RMSprop", kModule, {}, {"rmsprop", "RMSPROP"}));
    register_class(component_class<Adagrad>("Adagrad", kModule, {}, {"adagrad", "ADAGRAD"}));
    register_class(component_class<Adadelta>("Adadelta", kModule, {}, {"adadelta", "ADADELTA"}));
    register_class(component_class<Adam>("Adam", kModule, {}, {"adam", "ADAM"}));
    register_class(component_class<AdamW>("AdamW", kModule, {}, {"adamw", "ADAMW"}));
    register_class(component_class<Adamax>("Adamax", kModule, {}, {"adamax", "ADAMAX"}));
    register_class(component_class<Nadam>("Nadam", kModule, {}, {"nadam", "NADAM"}));
    register_class(component_class<Ftrl>("Ftrl", kModule, {}, {"ftrl", "FTRL"}));
    register_class(component_class<Lion>("Lion", kModule, {}, {"lion", "LION"}));
    register_class(component_class<Lamb>("Lamb", kModule));
    register_class(component_class<Adafactor>("Adafactor", kModule, {}, {"adafactor", "ADAFACTOR"}));
    register_class(component_class<Muon>("Muon", kModule, {}, {"muon", "MUON"}));
    register_class(component_class<ScheduleFreeAdamW>("ScheduleFreeAdamW", kModule, {}, {"schedulefreeadamw"}));
    register_class(component_class<LossScaleOptimizer>("LossScaleOptimizer", kModule, {}, {"lossscaleoptimizer"}));
    register_class(component_class<MultiOptimizer>("MultiOptimizer", kModule, {}, {"multioptimizer"}));
    register_class(component_class<OptimizerMap>("OptimizerMap", kModule));
    Schedule::register_builtins();
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace lockstep::optim
