#!/usr/bin/env bash
# Train the teachers and let them answer: MPNet, five-fold cross-validation for the labelled texts, three
# seeds for the others. Hours on two CPU cores. The answers that are
# kept beside this file were made with these settings on a GPU (see ../README.md): others differ slightly.
#     teachers.sh runs/models answers/     (what rows.py wrote; `trialtune` must be on the PATH)
set -euo pipefail
rows=$1 answers=$2 here=$(dirname "$0")
mpnet=(--method full --encoder embedded:mpnet-base --outliers "$here/outliers.txt")
stop=(--set epochs=4 --set batch_size=96 --set learning_rate=1e-4)
sex=(--set epochs=3 --set batch_size=64 --set learning_rate=8e-5 --set max_length=256)

trialtune crossfit stop-reasons --data "$rows/stop_reasons.parquet" "${mpnet[@]}" "${stop[@]}" \
    --folds 5 --out "$rows/teachers/stop-reasons"
trialtune crossfit sex --data "$rows/sex.parquet" "${mpnet[@]}" "${sex[@]}" --folds 3 --out "$rows/teachers/sex"
for seed in 1 2 3; do
    trialtune finetune stop-reasons --data "$rows/stop_reasons.parquet" "${mpnet[@]}" "${stop[@]}" \
        --set seed=$seed --out "$rows/teachers/stop-reasons-$seed"
    trialtune predict "$rows/teachers/stop-reasons-$seed" --input "$rows/stop_reasons_more.parquet" \
        --output "$rows/teachers/stop-reasons-$seed.parquet"
done
for seed in 1 2; do
    trialtune finetune sex --data "$rows/sex.parquet" "${mpnet[@]}" "${sex[@]}" \
        --set seed=$seed --out "$rows/teachers/sex-$seed"
    trialtune predict "$rows/teachers/sex-$seed" --input "$rows/sex_more.parquet" \
        --output "$rows/teachers/sex-$seed.parquet"
done
for task in stop-reasons sex; do
    python "$here/answers.py" "$rows/teachers/$task/out_of_fold.parquet" "$rows/teachers/$task"-?.parquet \
        --out "$answers/$task.parquet"
done
