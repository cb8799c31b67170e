"""Trains the diabetes regressor and saves it as an MLflow model in FOLDER/model."""

import pathlib
import sys

import mlflow.sklearn
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import data


def main():
    out = pathlib.Path(sys.argv[1])
    x, x_held, y, y_held = data.split("diabetes")
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(x, y)
    mlflow.sklearn.save_model(model, str(out / "model"), pip_requirements=[], serialization_format="cloudpickle")
    data.write(out, [data.described("diabetes", "", "regression", model, x_held, y_held)])


if __name__ == "__main__":
    main()
