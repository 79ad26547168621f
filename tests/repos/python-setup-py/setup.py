from setuptools import setup

setup(name='thing', version='2.0', py_modules=['thing'], install_requires=['six==1.16.0'])
