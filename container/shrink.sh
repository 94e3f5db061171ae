#!/bin/sh
# Take out of an environment what nothing at run time reads.
set -eu
site=$("$1/bin/python" -c 'import site; print(site.getsitepackages()[0])')
rm -rf "$site/stnopt"
find "$site" -type d \( -name tests -o -name test -o -name __pycache__ \) -prune -exec rm -rf {} +
find "$site" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' \
    -o -name '*.c' -o -name '*.cpp' -o -name '*.lib' -o -name '*.a' \) -delete
# botocore describes every AWS service; only those called here are kept.
if [ -d "$site/botocore/data" ]; then
    find "$site/botocore/data" -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name sso \
        ! -name sso-oidc ! -name sagemaker ! -name sagemaker-runtime -exec rm -rf {} +
fi
rm -rf "$site/matplotlib/mpl-data/sample_data" "$site/sklearn/datasets/data" \
    "$site/sklearn/datasets/images" "$site/sklearn/datasets/descr"
if command -v strip >/dev/null; then
    find "$site" -name '*.so*' -type f -exec strip --strip-unneeded {} + 2>/dev/null || true
fi
